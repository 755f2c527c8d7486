// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "agent/model/meta.h"

namespace sluice::model {
namespace {

using Operator = LabelSelector::Operator;

TEST(LabelSelector, MatchesAsTheApiSays)
{
    struct Row {
        const char* claim;
        LabelSelector selector;
        bool matches;
    };
    const Labels labels{{"app", "web"}, {"tier", ""}};
    const Row rows[] = {
        {"an empty selector matches everything", {{}, {}}, true},
        {"an equal label matches", {{{"app", "web"}}, {}}, true},
        {"another value does not", {{{"app", "db"}}, {}}, false},
        {"a missing label does not, even with an empty value", {{{"zone", ""}}, {}}, false},
        {"all labels must match", {{{"app", "web"}, {"tier", "x"}}, {}}, false},
        {"In matches one of its values", {{}, {{"app", Operator::In, {"db", "web"}}}}, true},
        {"In needs the label", {{}, {{"zone", Operator::In, {"a"}}}}, false},
        {"NotIn refuses its values", {{}, {{"app", Operator::NotIn, {"web"}}}}, false},
        {"NotIn matches a missing label", {{}, {{"zone", Operator::NotIn, {"a"}}}}, true},
        {"Exists matches any value", {{}, {{"tier", Operator::Exists, {}}}}, true},
        {"Exists needs the label", {{}, {{"zone", Operator::Exists, {}}}}, false},
        {"DoesNotExist refuses a present label", {{}, {{"app", Operator::DoesNotExist, {}}}}, false},
        {"DoesNotExist matches a missing one", {{}, {{"zone", Operator::DoesNotExist, {}}}}, true},
        {"labels and expressions must both match", {{{"app", "web"}}, {{"zone", Operator::Exists, {}}}}, false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(row.selector.matches(labels), row.matches) << row.claim;
}

TEST(ObjectKey, NamesClusterScopedKindsWithoutANamespace)
{
    EXPECT_EQ((ObjectKey{"HTTPRoute", "default", "web"}).to_string(), "HTTPRoute default/web");
    EXPECT_EQ((ObjectKey{"GatewayClass", "", "sluice"}).to_string(), "GatewayClass sluice");
}

}  // namespace
}  // namespace sluice::model
