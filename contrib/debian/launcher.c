/* /usr/bin/lsyncd and /usr/bin/orchestrator of the Debian package: a program of its own around Python's library.
 *
 * /proc/PID/exe, the first word of the command line and the process's name are those of a program called so, as
 * start-stop-daemon --exec, pidof PATH and monitors expect. Nothing of the environment (PYTHONPATH and the like), of a
 * user's site-packages or of the working directory is read.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if !defined(ENTRY) || !defined(INTERPRETER) || !defined(LIBRARY) || !defined(LOCAL)
#error "see rules"
#endif

/* LOCAL: plugins that the administrator has put there; they cannot stand in for the package's own modules */
static const char *const COMMAND =
    "import sys\n"
    "sys.path += ['" LIBRARY "', '" LOCAL "']\n"
    "from orchestrator.start import " ENTRY " as main\n"
    "sys.exit(main())\n";

int main(int argc, char **argv)
{
    PyPreConfig before;
    PyConfig config;
    PyStatus status;

    PyPreConfig_InitPythonConfig(&before);
    before.isolated = 1;
    before.use_environment = 0;
    status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);

    PyConfig_InitPythonConfig(&config);
    config.isolated = 1;
    config.use_environment = 0;
    config.user_site_directory = 0;
    config.site_import = 0;
    config.safe_path = 1;
    config.write_bytecode = 0;
    config.parse_argv = 0;

    /* whatever Python starts in its own place is the interpreter, not this program */
    status = PyConfig_SetBytesString(&config, &config.program_name, INTERPRETER);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesString(&config, &config.run_command, COMMAND);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesArgv(&config, argc, argv);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    return Py_RunMain();
}
