// HikariCP over connections that do nothing: java -cp … Hikari.java SECONDS THREADS…
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.LongAdder;
import javax.sql.DataSource;

class Hikari {
    /** An interface whose methods answer with nothing. */
    private static Object nothing(Class<?> type) {
        return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
            Class<?> answer = method.getReturnType();
            if (answer == Connection.class) return nothing(Connection.class);
            if (answer == boolean.class) return method.getName().equals("isValid") || method.getName().equals("getAutoCommit");
            if (answer == int.class) return method.getName().equals("getTransactionIsolation") ? 2 : 0;
            if (answer == String.class) return "nothing";
            if (answer.isInterface() && answer.getName().startsWith("java.sql.")) return nothing(answer);
            return null;
        });
    }

    private static double measure(HikariDataSource pool, int threads, double seconds) throws Exception {
        CountDownLatch go = new CountDownLatch(1);
        LongAdder operations = new LongAdder();
        Thread[] workers = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            workers[i] = new Thread(() -> {
                try {
                    go.await();
                    long done = 0;
                    long end = System.nanoTime() + (long) (seconds * 1e9);
                    while (System.nanoTime() < end) {
                        for (int k = 0; k < 10; k++) pool.getConnection().close();
                        done += 10;
                    }
                    operations.add(done);
                } catch (Exception failure) {
                    failure.printStackTrace();
                    System.exit(1);
                }
            });
            workers[i].start();
        }
        long begin = System.nanoTime();
        go.countDown();
        for (Thread worker : workers) worker.join();
        return (System.nanoTime() - begin) / operations.doubleValue();
    }

    public static void main(String[] arguments) throws Exception {
        HikariConfig config = new HikariConfig();
        config.setDataSource((DataSource) nothing(DataSource.class));
        config.setMaximumPoolSize(8);
        config.setMinimumIdle(8);
        try (HikariDataSource pool = new HikariDataSource(config)) {
            for (int i = 1; i < arguments.length; i++) {
                int threads = Integer.parseInt(arguments[i]);
                measure(pool, threads, 1.0); // the compiler's warm-up
                System.out.printf("{\"bench\":\"checkout\",\"who\":\"HikariCP\",\"threads\":%d,\"ns_per_op\":%f}%n",
                        threads, measure(pool, threads, Double.parseDouble(arguments[0])));
            }
        }
    }
}
