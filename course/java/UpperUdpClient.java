import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.PortUnreachableException;
import java.net.SocketTimeoutException;

/**
 * The sentence client by datagram: asks for each line until it is answered, or given up.
 *
 *     java UpperUdpClient [HOST [PORT [OWN_PORT]]]     localhost 9876
 */
class UpperUdpClient {
    private static final int TRIES = 5;
    private static final int FIRST_WAIT_MS = 1000; // doubled each time, 31 s in all

    /** Each question has a socket of its own, so that a late answer is not taken for another one's. */
    static DatagramPacket ask(InetAddress address, int port, int ownPort, byte[] question) throws IOException {
        try (DatagramSocket server = new DatagramSocket(ownPort)) {
            server.connect(address, port); // others are not heard, and it is told that nobody is there
            DatagramPacket answer = new DatagramPacket(new byte[65536], 65536);
            for (int i = 0; i < TRIES; i++) {
                server.send(new DatagramPacket(question, question.length, address, port));
                server.setSoTimeout(FIRST_WAIT_MS << i);
                try {
                    server.receive(answer);
                    return answer;
                } catch (SocketTimeoutException lost) {
                    continue;
                }
            }
        }
        throw new Course.Failure(1, address.getHostAddress() + ":" + port + ": no answer to " + TRIES + " datagrams");
    }

    static void askForEach(String[] words) throws IOException {
        String[] whom = Course.arguments(words, "[HOST [PORT [OWN_PORT]]]", "localhost", "9876", "0");
        int port = Course.port(whom[1]);
        int ownPort = Course.port(whom[2]);
        InputStream keyboard = new BufferedInputStream(System.in);
        InetAddress[] addresses = InetAddress.getAllByName(whom[0]);
        int at = 0;
        for (byte[] line; (line = Course.readLine(keyboard)) != null;) {
            DatagramPacket answer = null;
            while (answer == null) {
                try {
                    answer = ask(addresses[at], port, ownPort, line);
                } catch (PortUnreachableException nobody) {
                    if (++at == addresses.length) {
                        throw new Course.Failure(1, whom[0] + ":" + port + ": Connection refused");
                    }
                }
            }
            System.out.print("FROM SERVER: ");
            // What is more than we sent was not meant for us.
            System.out.write(answer.getData(), 0, Math.min(answer.getLength(), line.length));
            System.out.println();
        }
    }

    public static void main(String[] words) {
        Course.run(UpperUdpClient::askForEach, words);
    }
}
