import java.io.IOException;
import java.net.Socket;

/**
 * The phone server: a thread for each call.
 *
 *     java PhoneServer [PORT [HOST]]     5000 127.0.0.1
 */
class PhoneServer {
    static void doSomething(Socket caller) throws IOException {
        // do your thing with the socket here
    }

    public static void main(String[] words) {
        Course.run(arguments -> Course.serve(arguments, 5000, PhoneServer::doSomething), words);
    }
}
