#include "proxy/cli/cli.hpp"

int main(int argc, char** argv) { return pgsteer::proxy::cli::run_command_line(argc, argv); }
