// The Flight SQL JDBC driver on a node: one check after another, each printed as "ok name" or "WRONG name: …".
// java -cp DRIVER.jar FlightJdbc.java jdbc:arrow-flight-sql://host:port/?… [user password]

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Properties;

public class FlightJdbc {
  interface Body {
    void run() throws Exception;
  }

  static void check(String name, Body body) {
    try {
      body.run();
      System.out.println("ok " + name);
    } catch (Throwable wrong) {
      System.out.println("WRONG " + name + ": " + wrong);
      wrong.printStackTrace();
    }
  }

  static void same(Object expected, Object actual) {
    if (!Objects.equals(expected, actual)) {
      throw new AssertionError("expected " + expected + ", got " + actual);
    }
  }

  static List<String> column(ResultSet rows, String name) throws SQLException {
    List<String> values = new ArrayList<>();
    while (rows.next()) values.add(rows.getString(name));
    rows.close();
    return values;
  }

  static long count(Connection connection, String from) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("select count(*) as n from " + from)) {
      rows.next();
      return rows.getLong(1);
    }
  }

  static void statements(Connection connection) {
    check("query", () -> {
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("select id, total, note, made from orders order by id")) {
        same("made", rows.getMetaData().getColumnName(4));
        same(true, rows.next());
        same(1L, rows.getLong("id"));
        same(9.5, rows.getDouble("total"));
        same("first", rows.getString("note"));
        same(Date.valueOf("2024-02-29"), rows.getDate("made"));
        same(true, rows.next());
        same(null, rows.getString("note"));
        same(true, rows.wasNull());
        same(false, rows.next());
      }
    });
    check("update", () -> {
      try (Statement statement = connection.createStatement()) {
        same(1, statement.executeUpdate("insert into customers values (3, 'Eve')"));
        same(3, statement.executeUpdate("update customers set name = name"));
        same(3L, count(connection, "customers"));
        // A count of -1 would make the driver run it once more.
        same(0, statement.executeUpdate("create table made (i bigint, t text)"));
        same(false, statement.execute("insert into made values (1, 'x')"));
        same(1, statement.getUpdateCount());
        same(1L, count(connection, "made"));
      }
    });
    check("error", () -> {
      try (Statement statement = connection.createStatement()) {
        statement.executeQuery("select * from nowhere");
        throw new AssertionError("no error");
      } catch (SQLException expected) {
        if (!expected.getMessage().contains("nowhere")) throw expected;
      }
      same(2L, count(connection, "orders"));
    });
  }

  static void prepared(Connection connection) {
    check("prepared query", () -> {
      try (PreparedStatement statement =
          connection.prepareStatement("select name from customers where id = ? and name <> ?")) {
        same(2, statement.getParameterMetaData().getParameterCount());
        for (int id = 1; id <= 2; ++id) {
          setNumber(statement, 1, id);
          statement.setString(2, "nobody");
          try (ResultSet rows = statement.executeQuery()) {
            same(true, rows.next());
            same(id == 1 ? "Ada" : "Grüße", rows.getString(1));
            same(false, rows.next());
          }
        }
      }
    });
    check("prepared update", () -> {
      try (PreparedStatement statement = connection.prepareStatement("insert into made values (?, ?)")) {
        setNumber(statement, 1, 10);
        statement.setString(2, "ten");
        same(1, statement.executeUpdate());
        setNumber(statement, 1, 11);
        statement.setString(2, null);
        same(1, statement.executeUpdate());
      }
      same(2L, count(connection, "made where i between 10 and 11"));
      same(1L, count(connection, "made where t is null"));
      same(11L, sum(connection));
    });
    check("prepared batch", () -> {
      try (PreparedStatement statement = connection.prepareStatement("insert into made values (?, ?)")) {
        for (int i = 0; i < 3; ++i) {
          setNumber(statement, 1, 100 + i);
          statement.setString(2, "b" + i);
          statement.addBatch();
        }
        statement.executeBatch();
      }
      same(3L, count(connection, "made where i >= 100"));
    });
  }

  // SQLite leaves the types of parameters open, so the node says text; a database that knows them says the number's.
  static void setNumber(PreparedStatement statement, int index, long value) throws SQLException {
    if (statement.getParameterMetaData().getParameterType(index) == java.sql.Types.VARCHAR) {
      statement.setString(index, Long.toString(value));
    } else {
      statement.setLong(index, value);
    }
  }

  static long sum(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("select max(i) as m from made where i < 100")) {
      rows.next();
      return rows.getLong(1);
    }
  }

  static void metadata(Connection connection, String catalog, String schema) {
    check("tables", () -> {
      DatabaseMetaData about = connection.getMetaData();
      List<String> tables = column(about.getTables(null, schema, "%", new String[] {"TABLE"}), "TABLE_NAME");
      same(true, tables.containsAll(List.of("customers", "orders")));
      same(List.of("big_orders"), column(about.getTables(catalog, schema, "big%", null), "TABLE_NAME"));
      same(true, column(about.getCatalogs(), "TABLE_CAT").contains(catalog));
      same(true, column(about.getSchemas(), "TABLE_SCHEM").contains(schema));
      same(true, column(about.getTableTypes(), "TABLE_TYPE").contains("VIEW"));
    });
    check("columns", () -> {
      DatabaseMetaData about = connection.getMetaData();
      same(List.of("id", "name"), column(about.getColumns(catalog, schema, "customers", "%"), "COLUMN_NAME"));
    });
    check("keys", () -> {
      DatabaseMetaData about = connection.getMetaData();
      same(List.of("id"), column(about.getPrimaryKeys(catalog, schema, "orders"), "COLUMN_NAME"));
      same(List.of("customers"), column(about.getImportedKeys(catalog, schema, "orders"), "PKTABLE_NAME"));
      same(List.of("customer"), column(about.getExportedKeys(catalog, schema, "customers"), "FKCOLUMN_NAME"));
      same(List.of("customer"), column(
          about.getCrossReference(catalog, schema, "customers", catalog, schema, "orders"), "FKCOLUMN_NAME"));
    });
    check("every method without arguments", () -> everyMethod(connection.getMetaData()));
    check("no false promises", () -> {
      same(false, connection.getMetaData().supportsTransactions());
      same("\"", connection.getMetaData().getIdentifierQuoteString());
      same("cenote", connection.getMetaData().getDatabaseProductName());
    });
  }

  // The driver reads one SqlInfo or another in most of them; a missing one is a NullPointerException.
  static void everyMethod(DatabaseMetaData about) throws Exception {
    StringBuilder wrong = new StringBuilder();
    for (Method method : DatabaseMetaData.class.getMethods()) {
      if (method.getParameterCount() != 0 || method.getDeclaringClass() != DatabaseMetaData.class) continue;
      try {
        Object got = method.invoke(about);
        if (got instanceof ResultSet) ((ResultSet) got).close();
      } catch (InvocationTargetException error) {
        Throwable cause = error.getCause();
        if (cause instanceof SQLException && cause instanceof java.sql.SQLFeatureNotSupportedException) continue;
        if (cause instanceof UnsupportedOperationException) continue;
        wrong.append(method.getName()).append(": ").append(cause).append("; ");
      }
    }
    if (wrong.length() > 0) throw new AssertionError(wrong.toString());
  }

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    if (arguments.length > 3) {
      properties.put("user", arguments[3]);
      properties.put("password", arguments[4]);
    }
    boolean admitted = false;
    try (Connection connection = DriverManager.getConnection(arguments[0], properties)) {
      admitted = true;
      System.out.println("ok login");
      statements(connection);
      prepared(connection);
      metadata(connection, arguments[1], arguments[2]);
    } catch (SQLException error) {
      // With a catalog the driver says goodbye a second time, on the channel that it has closed.
      if (!admitted || !error.getMessage().contains("Channel shutdown")) {
        System.out.println("REFUSED " + error.getMessage());
      }
    }
  }
}
