// SPDX-License-Identifier: Apache-2.0
// Manifest text before any parser sees it: is it text at all, and where do its documents begin.
// Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::source {

struct TextFault {
    int line = 0;         // 1-based
    std::string message;  // what is wrong there
};

// The first place where `text` is not what YAML 1.2 section 5.1 allows: UTF-8 without control characters.
// yaml-cpp takes 0x04 for the end of its input and guesses UTF-16 from NUL bytes, so neither may reach it.
[[nodiscard]] std::optional<TextFault> find_text_fault(std::string_view text);

struct Document {
    std::string_view text;
    int first_line = 1;  // of `text`, in the file
};

// Splits at the lines that begin with "---", which may stand nowhere inside a document (YAML 1.2 section 9.1.2), so
// that a broken document costs its neighbours nothing. Documents of blank and comment lines alone are left out.
[[nodiscard]] std::vector<Document> split_documents(std::string_view text);

// At most 80 characters of `text`, control characters replaced, cut at a character's end.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace sluice::source
