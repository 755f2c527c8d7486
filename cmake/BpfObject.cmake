# sluice_bpf_object(FILE): compiles the kernel programs with clang -target bpf and makes their skeleton,
# <build>/generated/sluice.skel.h. The target sluice_bpf stands for both.
find_program(CLANG_BPF NAMES clang-19 clang REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

function(sluice_bpf_object source)
    set(out ${CMAKE_BINARY_DIR}/generated)
    file(MAKE_DIRECTORY ${out})
    file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bpf/*.h)
    get_target_property(libbpf_includes third_party_bpf INTERFACE_INCLUDE_DIRECTORIES)
    list(TRANSFORM libbpf_includes PREPEND -isystem)
    add_custom_command(
        OUTPUT ${out}/sluice.bpf.o ${out}/sluice.skel.h
        COMMAND ${CLANG_BPF} -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Wpadded
                -I${CMAKE_SOURCE_DIR} ${libbpf_includes} -isystem/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
                -c ${CMAKE_SOURCE_DIR}/${source} -o ${out}/sluice.bpf.o
        COMMAND ${BPFTOOL} gen skeleton ${out}/sluice.bpf.o name sluice > ${out}/sluice.skel.h
        DEPENDS ${CMAKE_SOURCE_DIR}/${source} ${headers} ${CMAKE_SOURCE_DIR}/maps/abi.h third_party_bpf
        COMMENT "BPF ${source}" VERBATIM COMMAND_EXPAND_LISTS)
    add_custom_target(sluice_bpf DEPENDS ${out}/sluice.skel.h)
endfunction()
