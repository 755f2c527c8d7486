// SPDX-License-Identifier: Apache-2.0
// The admin endpoint over a unix socket and over TCP: pages, refusals, and clients that mean it no good.
#include "agent/admin/server.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/unique_fd.h"

namespace sluice::admin {
namespace {

Report report(bool ready)
{
    Report made;
    made.ready = ready;
    made.version = "1.2.3";
    return made;
}

Answers answers(bool ready, bool alive = true)
{
    return {.report = [ready] { return report(ready); },
            .is_ready = [ready] { return ready; },
            .is_alive = [alive] { return alive; }};
}

class AdminServer : public ::testing::Test {
protected:
    AdminServer()
    {
        std::string folder = (std::filesystem::temp_directory_path() / "admin.XXXXXX").string();
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
    }
    ~AdminServer() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] std::string path() const { return folder_ + "/run/admin.sock"; }
    [[nodiscard]] std::string address() const { return "unix:" + path(); }
    [[nodiscard]] UniqueFd connect() const
    {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        path().copy(name.sun_path, sizeof name.sun_path - 1);
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
        const timeval limit{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        return fd;
    }
    // What comes back until the server closes; empty for a connection that it drops.
    [[nodiscard]] std::string exchange(const std::string& bytes) const
    {
        const UniqueFd fd = connect();
        EXPECT_GE(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
        std::string all(64UL * 1024, '\0');
        std::size_t count = 0;
        ssize_t got = 0;
        while ((got = ::recv(fd.get(), all.data() + count, all.size() - count, 0)) > 0)
            count += static_cast<std::size_t>(got);
        EXPECT_FALSE(got < 0 && errno == EAGAIN) << "the server keeps the connection";
        all.resize(count);
        return all;
    }

    std::string folder_;
};

TEST_F(AdminServer, ServesItsPages)
{
    const auto server = Server::make(address(), answers(true));
    ASSERT_TRUE(server) << to_string(server.error());
    EXPECT_EQ(fetch(address(), "/healthz"), "ok\n");
    EXPECT_EQ(fetch(address(), "/readyz?verbose"), "ready\n");
    EXPECT_NE(fetch(address(), "/status")->find("1.2.3"), std::string::npos);
    EXPECT_NE(fetch(address(), "/metrics")->find("sluice_"), std::string::npos);
    const auto missing = fetch(address(), "/nothing");
    ASSERT_FALSE(missing);
    EXPECT_NE(to_string(missing.error()).find("404"), std::string::npos);
}

TEST_F(AdminServer, IsNotReadyBeforeTheAgentIs)
{
    const auto server = Server::make(address(), answers(false));
    ASSERT_TRUE(server);
    EXPECT_FALSE(fetch(address(), "/readyz"));
    EXPECT_TRUE(fetch(address(), "/healthz"));
}

TEST_F(AdminServer, IsNotLiveWhenALoopHangs)
{
    const auto server = Server::make(address(), answers(true, false));
    ASSERT_TRUE(server);
    EXPECT_FALSE(fetch(address(), "/healthz"));
    EXPECT_TRUE(fetch(address(), "/readyz"));
}

TEST_F(AdminServer, TheSocketIsItsOwnersAloneAndGoesWithTheServer)
{
    {
        const auto server = Server::make(address(), answers(true));
        ASSERT_TRUE(server);
        struct stat info = {};
        ASSERT_EQ(::stat(path().c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777U, 0600U);
    }
    EXPECT_FALSE(std::filesystem::exists(path()));
    EXPECT_FALSE(fetch(address(), "/healthz"));
}

TEST_F(AdminServer, AnAgentThatAnswersKeepsItsSocketAndADeadOneDoesNot)
{
    {
        const auto first = Server::make(address(), answers(true));
        ASSERT_TRUE(first);
        const auto second = Server::make(address(), answers(true));
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().errno_value, EADDRINUSE);
        EXPECT_TRUE(fetch(address(), "/healthz"));
    }
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path().copy(name.sun_path, sizeof name.sun_path - 1);
    {
        const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    }
    const auto server = Server::make(address(), answers(true));
    ASSERT_TRUE(server) << to_string(server.error());
    EXPECT_TRUE(fetch(address(), "/healthz"));
}

TEST_F(AdminServer, ServesOverTcp)
{
    // A free port: bound by us first, so that nothing else has it.
    const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    ASSERT_EQ(::bind(probe.get(), reinterpret_cast<const sockaddr*>(&name), size), 0);
    ASSERT_EQ(::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
    const std::string tcp = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
    const auto server = Server::make(tcp, answers(true));
    ASSERT_TRUE(server) << to_string(server.error());
    EXPECT_EQ(fetch(tcp, "/healthz"), "ok\n");
    const auto second = Server::make(tcp, answers(true));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().errno_value, EADDRINUSE);
}

TEST_F(AdminServer, AnswersHeadWithoutABodyAndNothingButReading)
{
    const auto server = Server::make(address(), answers(true));
    ASSERT_TRUE(server);
    const std::string head = exchange("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_NE(head.find("Content-Length: 3"), std::string::npos) << head;
    EXPECT_TRUE(head.ends_with("\r\n\r\n"));
    EXPECT_NE(exchange("POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").find(" 405 "),
              std::string::npos);
    EXPECT_EQ(exchange("no HTTP\r\n\r\n"), "");
    EXPECT_EQ(exchange("GET / HTTP/1.1\r\nA: " + std::string(100'000, 'a')), "");
    EXPECT_TRUE(fetch(address(), "/healthz"));
}

TEST_F(AdminServer, SilentClientsDoNotHoldUpOthers)
{
    const auto server = Server::make(address(), answers(true));
    ASSERT_TRUE(server);
    std::vector<UniqueFd> silent;
    for (int i = 0; i < 40; ++i)
        silent.push_back(connect());
    EXPECT_EQ(fetch(address(), "/healthz"), "ok\n");
}

TEST(AdminAddress, IsUnixOrAddressAndPort)
{
    for (const char* bad : {"", "unix:", "nothing", ":80", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
                            "127.0.0.1:8x", "not an address:80"}) {
        const auto server = Server::make(bad, answers(true));
        ASSERT_FALSE(server) << bad;
        EXPECT_EQ(server.error().errno_value, EINVAL) << bad;
    }
    EXPECT_FALSE(Server::make("unix:/" + std::string(200, 'a'), answers(true)));
}

}  // namespace
}  // namespace sluice::admin
