import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Scanner;

/**
 * Runs many programs of course/java in one machine, since each start of one costs half a second.
 *
 *     java Many serve CLASS...     starts each at port 0, prints "CLASS PORT"; ends with its input
 *     java Many call               for each line "CLASS HOST PORT INPUT" of its input runs the program, and prints what
 *                                  it printed; both in hexadecimal, with a dot in front
 */
class Many {
    private static final HexFormat HEX = HexFormat.of();

    static void run(String name, String... words) {
        try {
            Class.forName(name).getDeclaredMethod("main", String[].class).invoke(null, (Object) words);
        } catch (ReflectiveOperationException failure) {
            failure.printStackTrace();
            System.exit(3);
        }
    }

    /** Hears what a server says until it listens, and passes on only that. */
    static final class Ear extends ByteArrayOutputStream {
        private boolean listens;

        @Override
        public synchronized void flush() {
            String text = toString(StandardCharsets.UTF_8);
            if (!listens && text.startsWith("listening on ") && text.endsWith("\n")) {
                listens = true;
                notifyAll();
            }
        }

        synchronized String port() throws InterruptedException {
            while (!listens) {
                wait();
            }
            return toString(StandardCharsets.UTF_8).split("\\s+")[2];
        }
    }

    static void serve(String name) throws InterruptedException {
        PrintStream out = System.out;
        Ear ear = new Ear();
        System.setOut(new PrintStream(ear, true));
        Thread thread = new Thread(() -> run(name, "0"));
        thread.setDaemon(true);
        thread.start();
        String port = ear.port();
        System.setOut(out);
        System.out.println(name + " " + port);
    }

    static void call(String[] words) {
        PrintStream out = System.out;
        ByteArrayOutputStream heard = new ByteArrayOutputStream();
        System.setIn(new ByteArrayInputStream(HEX.parseHex(words[3].substring(1))));
        System.setOut(new PrintStream(heard, true));
        run(words[0], words[1], words[2]);
        System.out.flush();
        System.setOut(out);
        System.out.println("." + HEX.formatHex(heard.toByteArray()));
    }

    public static void main(String[] words) throws InterruptedException {
        Scanner lines = new Scanner(System.in);
        for (int i = 1; i < words.length; i++) {
            serve(words[i]);
        }
        while (lines.hasNextLine()) {
            call(lines.nextLine().split(" "));
        }
    }
}
