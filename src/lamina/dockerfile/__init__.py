"""The Dockerfile language: text in, frozen instructions out; no file is opened and nothing is printed.

    parser        bytes to a `Dockerfile`: its stages and their instructions
    instructions  the values that the parser makes, one class for each keyword
    expand        variables: `word`, `words`, and `expanded` for a whole instruction
    ignore        `.dockerignore`: which paths of a build context stay behind
    glob          the patterns of COPY and ADD sources

The language is that of Docker's classic builder, with the heredocs and the few flags of BuildKit that lamina
carries out. A flag that is not carried out is an error, never ignored.

Nothing is imported here: a program that only reads a `.dockerignore` pays for that alone.
"""
