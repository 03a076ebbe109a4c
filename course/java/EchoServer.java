import java.io.IOException;
import java.net.Socket;

/**
 * The echo server: what comes in goes back as it is, and each line is reported.
 *
 *     java EchoServer [PORT [HOST]]     5000 127.0.0.1
 */
class EchoServer {
    static void echo(Socket caller) throws IOException {
        byte[] text = new byte[4096];
        int line = 0;
        for (int n; (n = caller.getInputStream().read(text)) > 0;) {
            caller.getOutputStream().write(text, 0, n);
            for (int i = 0; i < n; i++) {
                line++;
                if (text[i] == '\n') {
                    System.out.println("server received " + line + " bytes");
                    line = 0;
                }
            }
        }
    }

    public static void main(String[] words) {
        Course.run(arguments -> Course.serve(arguments, 5000, EchoServer::echo), words);
    }
}
