{
  base = "full";
  message = "networking.firewall.enable is false";
  change = {
    networking.firewall.enable = false;
  };
}
