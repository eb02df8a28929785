// A server with uWebSockets: uwebsockets ADDRESS:PORT [MODE]. It has one thread. The modes are those of bench/src/bin/server.rs.

#include "App.h"

#include <iostream>
#include <string>
#include <string_view>

namespace {

constexpr unsigned int MAX_MESSAGE = 64u << 20;
constexpr std::string_view ROOM = "room";

struct Nothing {};

using Socket = uWS::WebSocket<false, true, Nothing>;

uWS::App::WebSocketBehavior<Nothing> behavior(uWS::CompressOptions compression) {
    uWS::App::WebSocketBehavior<Nothing> behavior;
    behavior.compression = compression;
    behavior.maxPayloadLength = MAX_MESSAGE;
    behavior.maxBackpressure = 0; // no limit
    behavior.idleTimeout = 0; // none
    behavior.sendPingsAutomatically = false;
    return behavior;
}

// Without context takeover, one compressor is shared; with it, each socket has its own.
uWS::CompressOptions compression_of(std::string_view mode) {
    if (mode == "--deflate" || mode == "--deflate-broadcast") {
        return uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
    }
    if (mode == "--takeover") {
        return uWS::CompressOptions(uWS::DEDICATED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
    }
    return uWS::DISABLED;
}

} // namespace

int main(int count, char **arguments) {
    const std::string address = count > 1 ? arguments[1] : "127.0.0.1:0";
    const std::string_view mode = count > 2 ? arguments[2] : "";
    const bool broadcasts = mode == "--broadcast" || mode == "--deflate-broadcast";
    const auto compression = compression_of(mode);
    const bool compresses = compression != uWS::DISABLED;
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos) {
        std::cerr << "uwebsockets ADDRESS:PORT [MODE]\n";
        return 1;
    }
    const std::string host = address.substr(0, colon);

    uWS::App app;
    auto behavior = ::behavior(compression);
    if (broadcasts) {
        behavior.open = [](Socket *socket) { socket->subscribe(ROOM); };
        behavior.message = [&app, compresses](Socket *, std::string_view message, uWS::OpCode opcode) {
            app.publish(ROOM, message, opcode, compresses); // also to the one that has sent it
        };
    } else {
        behavior.message = [compresses](Socket *socket, std::string_view message, uWS::OpCode opcode) {
            socket->send(message, opcode, compresses);
        };
    }
    app.ws<Nothing>("/*", std::move(behavior));
    bool listens = false;
    app.listen(host, std::stoi(address.substr(colon + 1)), [&](us_listen_socket_t *socket) {
        if (socket) {
            listens = true;
            const int port = us_socket_local_port(0, reinterpret_cast<us_socket_t *>(socket));
            std::cout << "listening on " << host << ':' << port << std::endl;
        }
    });
    if (!listens) {
        std::cerr << "cannot listen on " << address << '\n';
        return 1;
    }
    app.run();
}
