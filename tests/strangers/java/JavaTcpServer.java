import java.io.BufferedReader;
import java.io.DataOutputStream;
import java.io.InputStreamReader;
import java.net.ServerSocket;
import java.net.Socket;

/**
 * The sentence server in Java: waits for a whole line, answers it byte by byte in the capitals of its
 * locale. A caller who leaves without a line ends it: there is no line to put in capitals.
 *
 *     java JavaTcpServer [PORT [close|keep]]     6789, close
 *
 * With "keep" the connection is forgotten but not closed, as on some of the slides.
 */
class JavaTcpServer {
    public static void main(String[] words) throws Exception {
        int port = words.length > 0 ? Integer.parseInt(words[0]) : 6789;
        boolean closes = words.length < 2 || !words[1].equals("keep");
        ServerSocket doorbell = new ServerSocket(port);
        if (port == 0) {
            System.err.println("listening on *:" + doorbell.getLocalPort());
        }
        while (true) {
            Socket line = doorbell.accept();
            BufferedReader fromClient = new BufferedReader(new InputStreamReader(line.getInputStream()));
            DataOutputStream toClient = new DataOutputStream(line.getOutputStream());
            String sentence = fromClient.readLine();
            toClient.writeBytes(sentence.toUpperCase() + '\n');
            if (closes) {
                line.close();
            }
        }
    }
}
