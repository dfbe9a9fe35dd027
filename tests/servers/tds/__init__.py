"""A server that speaks SQL Server's protocol (pysqlbridge's login and framing) over SQLite, with faults on demand."""
