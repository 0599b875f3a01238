# The suite `dispatch`: what the dispatcher costs. No peers: ours against ours.
add_executable(dispatch_bench ${CMAKE_CURRENT_LIST_DIR}/dispatch_bench.c)
target_link_libraries(dispatch_bench PRIVATE fw_engine fw_base)
