"""What every stage runs through: context, keys, annotate loop, exchange of rows, progress."""
