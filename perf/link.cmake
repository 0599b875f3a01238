# A control plane's end and a subworker's end of a link in one process: what the wires cost.
add_executable(link_load ${CMAKE_CURRENT_LIST_DIR}/link_load.c)
target_link_libraries(link_load PRIVATE fw_net)
