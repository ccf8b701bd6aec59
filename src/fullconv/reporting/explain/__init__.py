"""What `fullconv explain` says and draws: the numbers first, as a dict, then a text and a figure made from them."""
