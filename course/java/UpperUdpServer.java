import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;

/**
 * The sentence server by datagram: each one goes back in capitals to whoever sent it.
 *
 *     java UpperUdpServer [PORT [HOST]]     9876 127.0.0.1
 */
class UpperUdpServer {
    static void serve(String[] words) throws IOException {
        String[] where = Course.arguments(words, "[PORT [HOST]]", "9876", "127.0.0.1");
        try (DatagramSocket door = new DatagramSocket(Course.port(where[0]), InetAddress.getByName(where[1]))) {
            System.out.println("listening on " + door.getLocalPort());
            byte[] text = new byte[65536];
            while (true) {
                DatagramPacket packet = new DatagramPacket(text, text.length); // anew: receive() changes its length
                door.receive(packet);
                if (packet.getPort() < 1024) {
                    continue; // two servers that answer each other would never end
                }
                Course.capitalize(text, packet.getLength());
                try {
                    door.send(packet); // to who sent it, as many bytes as came
                } catch (IOException failure) {
                    System.err.println(packet.getSocketAddress() + ": " + failure.getMessage());
                }
            }
        }
    }

    public static void main(String[] words) {
        Course.run(UpperUdpServer::serve, words);
    }
}
