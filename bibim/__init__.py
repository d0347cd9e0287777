"""The command line and what joins the other packages; nothing imports this one."""
