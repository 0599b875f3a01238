# The suite `cache`. Its peers come with the distribution: librocksdb-dev, libglib2.0-dev. Without
# them our own side is built and measured alone.
add_executable(cache_bench ${CMAKE_CURRENT_LIST_DIR}/cache_bench.c)
target_link_libraries(cache_bench PRIVATE fw_cache fw_base)

include(CheckLanguage)
check_language(CXX)
find_path(ROCKSDB_INCLUDE_DIR rocksdb/cache.h)
find_library(ROCKSDB_LIBRARY rocksdb)
pkg_check_modules(GLIB IMPORTED_TARGET glib-2.0)
if(CMAKE_CXX_COMPILER AND ROCKSDB_INCLUDE_DIR AND ROCKSDB_LIBRARY AND GLIB_FOUND
        AND NOT FW_SANITIZE)
    enable_language(CXX)
    add_library(fw_peers_cache STATIC ${CMAKE_CURRENT_LIST_DIR}/peers_cache.cpp)
    set_target_properties(fw_peers_cache PROPERTIES CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON)
    target_include_directories(fw_peers_cache SYSTEM PRIVATE ${ROCKSDB_INCLUDE_DIR})
    target_compile_options(fw_peers_cache PRIVATE -O2)
    target_link_libraries(fw_peers_cache PUBLIC ${ROCKSDB_LIBRARY} PkgConfig::GLIB)
    target_compile_definitions(cache_bench PRIVATE FW_CACHE_PEERS=1)
    target_link_libraries(cache_bench PRIVATE fw_peers_cache)
    set_target_properties(cache_bench PROPERTIES LINKER_LANGUAGE CXX)
endif()
