# `full-task` of the suite `engine`: a task's whole way through the engine. No peers: none has one.
add_executable(task_bench ${CMAKE_CURRENT_LIST_DIR}/task_bench.c)
target_link_libraries(task_bench PRIVATE fw_engine fw_base)
