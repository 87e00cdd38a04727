"""`python -m appliance`: the same as the installed `appliance`."""

from appliance.cli import main

# Guarded, because a process that compiles lists begins by importing this file again.
if __name__ == "__main__":
    main()
