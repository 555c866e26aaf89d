# Completion of orchestrator's command line for fish. Goes to /usr/share/fish/vendor_completions.d/.

orchestrator completion fish | source
