"""The command line: a shell around the engine, one module per command.

main      the table of commands; a command's module is imported when it is run
parser    options and arguments as docker takes them, help as docker prints it
shell     what a command has at hand: the engine, the streams, the environment
reports   what a long verb says, on a terminal and elsewhere
"""
