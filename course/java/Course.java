import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.Map;

/**
 * What the programs have in common: arguments, how servers and clients begin, how a call ends.
 *
 * Servers take [PORT [HOST]], clients [HOST [PORT]]. They exit with 0 if all is well, 1 if not, 2 if called wrongly.
 */
final class Course {
    static final int SILENCE_MS = 60_000; // a peer that says nothing for so long is given up
    private static final int LINGER_MS = 1000; // for the last words of a caller, and
    private static final int LINGER_BYTES = 65536; // how many of them are thrown away
    private static final Map<String, Integer> SERVICES = Map.of("echo", 7, "telnet", 23, "smtp", 25, "domain", 53, "http", 80);

    /** What ends a program: its text goes to stderr. */
    static final class Failure extends RuntimeException {
        private static final long serialVersionUID = 1;
        final int code;

        Failure(int code, String text) {
            super(text);
            this.code = code;
        }
    }

    interface Service {
        void serve(Socket caller) throws IOException;
    }

    interface Program {
        void run(String[] words) throws IOException;
    }

    /** Runs a program, and tells in a line why it failed. */
    static void run(Program program, String[] words) {
        try {
            program.run(words);
            System.out.flush();
        } catch (IOException | Failure failure) {
            System.out.flush();
            System.err.println(failure.getMessage());
            System.exit(failure instanceof Failure ? ((Failure) failure).code : 1);
        }
    }

    /** The words, with defaults for those that are left out. */
    static String[] arguments(String[] words, String usage, String... defaults) {
        if (words.length > defaults.length) {
            throw new Failure(2, "usage: " + usage);
        }
        // A port alone would be an address: 5000 is 0.0.19.136 for getByName.
        if (usage.startsWith("[HOST") && words.length > 0 && words[0].matches("(?s)-.*|[0-9]*")) {
            throw new Failure(2, "'" + words[0] + "' is not a host: the host comes first, then the port");
        }
        System.arraycopy(words, 0, defaults, 0, words.length);
        return defaults;
    }

    /** 0 to 65535, or the name of a service. (Java cannot look into /etc/services.) */
    static int port(String text) {
        if (text.matches("[0-9]{1,5}") && Integer.parseInt(text) <= 65535) {
            return Integer.parseInt(text);
        }
        if (SERVICES.containsKey(text)) {
            return SERVICES.get(text);
        }
        throw new Failure(2, "'" + text + "' is not a port: 0 to 65535, or the name of a service");
    }

    /** a to z only: String.toUpperCase follows the locale, and may change the length. */
    static void capitalize(byte[] text, int size) {
        for (int i = 0; i < size; i++) {
            if (text[i] >= 'a' && text[i] <= 'z') {
                text[i] -= 'a' - 'A';
            }
        }
    }

    // ---- Servers ------------------------------------------------------------------------------------

    /** Serves each caller in a thread. One caller's mishap is nobody else's. */
    static void serve(String[] words, int defaultPort, Service service) throws IOException {
        String[] where = arguments(words, "[PORT [HOST]]", "" + defaultPort, "127.0.0.1");
        int port = port(where[0]);
        try (ServerSocket door = new ServerSocket(port, 128, InetAddress.getByName(where[1]))) {
            System.out.println("listening on " + door.getLocalPort());
            while (true) {
                Socket caller = door.accept();
                Thread thread = new Thread(() -> answer(caller, service));
                thread.setDaemon(true);
                thread.start();
            }
        }
    }

    private static void answer(Socket socket, Service service) {
        try (Socket caller = socket) {
            caller.setSoTimeout(SILENCE_MS);
            service.serve(caller);
            hangUp(caller);
        } catch (IOException failure) {
            System.err.println(socket.getInetAddress().getHostAddress() + ": " + failure.getMessage());
        }
    }

    /** Closing with something unread would be a reset, which destroys what is on its way to the caller. */
    private static void hangUp(Socket caller) throws IOException {
        long end = System.nanoTime() + LINGER_MS * 1_000_000L;
        byte[] unread = new byte[4096];
        int budget = LINGER_BYTES;
        caller.shutdownOutput();
        try {
            for (long left = LINGER_MS; left > 0 && budget > 0; left = (end - System.nanoTime()) / 1_000_000) {
                caller.setSoTimeout((int) left);
                int n = caller.getInputStream().read(unread);
                if (n < 0) {
                    break;
                }
                budget -= n;
            }
        } catch (SocketTimeoutException late) {
            return;
        }
    }

    // ---- Clients ------------------------------------------------------------------------------------

    /** A connection to the first address of the name that answers. */
    static Socket call(String[] words, int defaultPort) throws IOException {
        String[] whom = arguments(words, "[HOST [PORT]]", "localhost", "" + defaultPort);
        int port = port(whom[1]);
        IOException failure = new IOException(whom[0] + ": no address");
        for (InetAddress address : InetAddress.getAllByName(whom[0])) {
            Socket server = new Socket();
            try {
                server.connect(new InetSocketAddress(address, port), SILENCE_MS);
                server.setSoTimeout(SILENCE_MS);
                return server;
            } catch (IOException refused) {
                server.close();
                failure = new IOException(address.getHostAddress() + ":" + port + ": " + refused.getMessage());
            }
        }
        throw failure;
    }

    /** Sends in one piece, beside the hearing: the answer to a long text begins before all of it is sent. */
    static void sayBeside(Socket server, byte[] text) {
        Thread talker = new Thread(() -> {
            try {
                server.getOutputStream().write(text);
            } catch (IOException gone) {
                return; // he may have answered all the same: that is heard, or not
            }
        });
        talker.setDaemon(true);
        talker.start();
    }

    /** Sends standard input, shows what comes until the server's end. Gives the bytes said and heard. */
    static long[] converse(Socket server) throws IOException {
        long[] counts = new long[2];
        InputStream keyboard = System.in;
        Thread talker = new Thread(() -> {
            try {
                OutputStream out = server.getOutputStream();
                byte[] text = new byte[65536];
                for (int n; (n = keyboard.read(text)) > 0;) {
                    counts[0] += n;
                    out.write(text, 0, n);
                }
                server.shutdownOutput();
            } catch (IOException gone) {
                return;
            }
        });
        talker.setDaemon(true);
        talker.start();
        server.setSoTimeout(0); // somebody at a terminal may think for as long as he likes
        byte[] text = new byte[65536];
        for (int n; (n = server.getInputStream().read(text)) > 0;) {
            counts[1] += n;
            System.out.write(text, 0, n);
            System.out.flush();
        }
        if (counts[0] == 0) { // a server that hangs up at once may be faster than the talker
            counts[0] = keyboard.available();
        }
        return counts;
    }

    /** A line without its end, up to a newline, a NUL, or the end; null if there was nothing. */
    static byte[] readLine(InputStream in) throws IOException {
        java.io.ByteArrayOutputStream line = new java.io.ByteArrayOutputStream();
        int c;
        while ((c = in.read()) > 0 && c != '\n') {
            if (c != '\r') {
                line.write(c);
            }
        }
        return c < 0 && line.size() == 0 ? null : line.toByteArray();
    }

    private Course() {}
}
