{
  base = "full";
  message = "then there is none to roll back to";
  change = {
    nix.gc = {
      automatic = true;
      options = "--delete-older-than 7d";
    };
  };
}
