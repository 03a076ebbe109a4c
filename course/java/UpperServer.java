import java.io.IOException;
import java.net.Socket;

/**
 * The sentence server: what comes in goes back in capitals, as many bytes out as in.
 *
 *     java UpperServer [PORT [HOST]]     6789 127.0.0.1
 */
class UpperServer {
    static void upper(Socket caller) throws IOException {
        byte[] text = new byte[4096];
        for (int n; (n = caller.getInputStream().read(text)) > 0;) {
            Course.capitalize(text, n);
            caller.getOutputStream().write(text, 0, n);
        }
    }

    public static void main(String[] words) {
        Course.run(arguments -> Course.serve(arguments, 6789, UpperServer::upper), words);
    }
}
