// SPDX-License-Identifier: Apache-2.0
// What the documentation shows is read without a word.
#include <gtest/gtest.h>

#include "agent/source/files.h"

namespace sluice::source {
namespace {

struct Row {
    const char* folder;
    std::size_t gateways, http_routes, grpc_routes, tcp_routes, udp_routes, grants, services;
};

constexpr Row kRows[] = {
    {"examples/blog", 1, 1, 0, 0, 0, 0, 1},
    {"examples/mixed", 1, 1, 0, 1, 1, 0, 3},
    {"examples/cross-namespace", 1, 1, 0, 1, 0, 1, 1},
    {"examples/https", 1, 1, 0, 0, 0, 0, 1},
    {"examples/grpc", 1, 0, 1, 0, 0, 0, 1},
};

TEST(Examples, DecodeWithoutAProblem)
{
    for (const Row& row : kRows) {
        SCOPED_TRACE(row.folder);
        const Snapshot snapshot = read_manifests({row.folder});
        for (const Problem& problem : snapshot.problems)
            ADD_FAILURE() << to_string(problem);
        EXPECT_EQ(snapshot.objects.gateway_classes.size(), 1U);
        EXPECT_EQ(snapshot.objects.gateways.size(), row.gateways);
        EXPECT_EQ(snapshot.objects.http_routes.size(), row.http_routes);
        EXPECT_EQ(snapshot.objects.grpc_routes.size(), row.grpc_routes);
        EXPECT_EQ(snapshot.objects.tcp_routes.size(), row.tcp_routes);
        EXPECT_EQ(snapshot.objects.udp_routes.size(), row.udp_routes);
        EXPECT_EQ(snapshot.objects.reference_grants.size(), row.grants);
        EXPECT_EQ(snapshot.objects.services.size(), row.services);
        EXPECT_EQ(snapshot.objects.endpoint_slices.size(), row.services);
    }
}

}  // namespace
}  // namespace sluice::source
