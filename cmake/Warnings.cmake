# Warnings are errors for our own code; third_party is compiled without them. With gcc's sanitizers they are not: what they add
# to the code makes its optimiser warn of paths that do not exist, and the dev tree has every file as well. To clang gcc's own
# headers are deprecated in themselves (std::inplace_merge).
add_library(sluice_warnings INTERFACE)
target_compile_options(sluice_warnings INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor -Wno-missing-field-initializers
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety -Wno-deprecated-declarations>)

if(NOT SLUICE_SANITIZE)
    target_compile_options(sluice_warnings INTERFACE -Werror)
else()
    add_compile_options(-fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${SLUICE_SANITIZE})
    if(SLUICE_SANITIZE STREQUAL "thread")
        # It knows no fences in gcc. Boost.Asio's order nothing here: a context belongs to one thread.
        add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
    endif()
endif()
if(SLUICE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=address,undefined)
endif()
