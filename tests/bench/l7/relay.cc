// SPDX-License-Identifier: Apache-2.0
// A relay that looks at nothing: what a proxy on this machine costs in the kernel alone, with epoll and one thread.
// Every client has a connection to the backend of its own. One file; peers.py builds it, with nothing of the project.
//   relay ADDRESS PORT BACKEND BACKEND_PORT    until it is killed; exit 1 when it cannot listen
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kDescriptors = 20'000;

[[noreturn]] void fail(const char* what)
{
    std::perror(what);
    std::exit(1);
}

sockaddr_in address_of(const char* address, const char* port)
{
    sockaddr_in found{};
    found.sin_family = AF_INET;
    found.sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
    if (inet_pton(AF_INET, address, &found.sin_addr) != 1)
        fail(address);
    return found;
}

int tcp_socket()
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

class Relay {
public:
    Relay(const sockaddr_in& at, const sockaddr_in& backend) : backend_(backend)
    {
        listener_ = tcp_socket();
        if (bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0 || listen(listener_, 4096) != 0)
            fail("listen");
        watch(listener_);
    }

    void run()
    {
        std::array<epoll_event, 256> events;
        for (;;) {
            const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < count; ++i) {
                const int fd = events[static_cast<size_t>(i)].data.fd;
                fd == listener_ ? accept_one() : forward(fd);
            }
        }
    }

private:
    void watch(int fd)
    {
        epoll_event event{EPOLLIN, {.fd = fd}};
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0)
            fail("epoll_ctl");
    }

    void accept_one()
    {
        const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), on = 1;
        if (client < 0)
            return;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        const int backend = tcp_socket();
        if (connect(backend, reinterpret_cast<const sockaddr*>(&backend_), sizeof(backend_)) != 0)
            fail("connect");
        peer_.at(static_cast<size_t>(client)) = backend;
        peer_.at(static_cast<size_t>(backend)) = client;
        watch(client);
        watch(backend);
    }

    /// Small bodies only: a send that does not fit waits for the other side, and with it everything.
    void forward(int fd)
    {
        const int to = peer_[static_cast<size_t>(fd)];
        if (to < 0)
            return;  // closed by an earlier event of the same round
        const ssize_t size = recv(fd, bytes_.data(), bytes_.size(), MSG_DONTWAIT);
        if (size > 0 && send(to, bytes_.data(), static_cast<size_t>(size), MSG_NOSIGNAL) == size)
            return;
        for (const int end : {fd, to}) {
            peer_[static_cast<size_t>(end)] = -1;
            close(end);
        }
    }

    sockaddr_in backend_;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    int listener_ = -1;
    std::vector<int> peer_ = std::vector<int>(kDescriptors, -1);
    std::array<char, 65536> bytes_{};
};

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 5) {
        std::fprintf(stderr, "usage: relay ADDRESS PORT BACKEND BACKEND_PORT\n");
        return 1;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Relay(address_of(argv[1], argv[2]), address_of(argv[3], argv[4])).run();
}
