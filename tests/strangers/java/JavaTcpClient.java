import java.io.BufferedReader;
import java.io.DataOutputStream;
import java.io.InputStreamReader;
import java.net.Socket;

/**
 * The sentence client in Java. writeBytes on the bare stream of a socket is one write of one byte for
 * each character, of which it sends the low byte; the answer is a line, or "null" if there is none.
 *
 *     java JavaTcpClient [HOST [PORT]]     this machine, 6789
 */
class JavaTcpClient {
    public static void main(String[] words) throws Exception {
        String host = words.length > 0 ? words[0] : "localhost";
        int port = words.length > 1 ? Integer.parseInt(words[1]) : 6789;
        BufferedReader keyboard = new BufferedReader(new InputStreamReader(System.in));
        Socket line = new Socket(host, port);
        DataOutputStream toServer = new DataOutputStream(line.getOutputStream());
        BufferedReader fromServer = new BufferedReader(new InputStreamReader(line.getInputStream()));
        String sentence = keyboard.readLine();
        toServer.writeBytes(sentence + '\n');
        System.out.println("FROM SERVER: " + fromServer.readLine());
        line.close();
    }
}
