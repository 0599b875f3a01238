# `exec`: a task in this process, in an isolated child, in a program. No peers.
add_executable(exec_bench ${CMAKE_CURRENT_LIST_DIR}/exec_bench.c)
target_link_libraries(exec_bench PRIVATE fw_engine fw_base fw_module_host)
