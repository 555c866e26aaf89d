"""The control socket's server (contrib/CONTROL.md): clients ask and steer a running daemon.

To add a command:

1. write its function, in a module of its own where it is more than a few lines: it takes a `call.Call`, whose `syncs`
   are those that the client means and whose `arguments` have been checked, and whose `desk` has all that it may reach
   (`desk.runner` and so on). It returns the result, a dict that is fit for JSON; or None, and answers later with
   `call.answer` or `call.fail`. An error is `raise RequestError(Code.FAILED, "why")`.
2. add a line to `commands.COMMANDS`: the name, the function, who may, and the kinds of its arguments.

To tell those who subscribe of something: `sync.feed.Feed.tell`.
"""
