# A peer of the dashboard's server.
pkg_check_modules(MICROHTTPD IMPORTED_TARGET libmicrohttpd)
if(MICROHTTPD_FOUND)
    add_executable(peers_microhttpd ${CMAKE_CURRENT_LIST_DIR}/peers_microhttpd.c)
    target_link_libraries(peers_microhttpd PRIVATE PkgConfig::MICROHTTPD fw_flags)
endif()
