import java.io.IOException;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;

/**
 * The message server: shows each message, and says that it has got it.
 *
 *     java MessageServer [PORT [HOST]]     5000 127.0.0.1
 */
class MessageServer {
    /** It ends with a newline, with the caller's end, after a second of silence, or when it is too long. */
    static void takeMessage(Socket caller) throws IOException {
        byte[] text = new byte[8192];
        int size = 0;
        try {
            for (int n; size < text.length && (n = caller.getInputStream().read(text, size, text.length - size)) > 0;) {
                size += n;
                if (text[size - 1] == '\n') {
                    break;
                }
                caller.setSoTimeout(1000);
            }
        } catch (SocketTimeoutException silence) {
            if (size == 0) {
                throw silence;
            }
        }
        if (size > 0) {
            String message = new String(text, 0, size, StandardCharsets.UTF_8).split("\r?\n", 2)[0];
            System.out.println("Here is the message: " + message.replaceAll("\\p{Cntrl}", "?"));
            caller.getOutputStream().write("I got your message".getBytes(StandardCharsets.US_ASCII));
        }
    }

    public static void main(String[] words) {
        Course.run(arguments -> Course.serve(arguments, 5000, MessageServer::takeMessage), words);
    }
}
