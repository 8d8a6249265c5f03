{
  base = "full";
  message = "an update that nobody watches";
  change = {
    system.autoUpgrade.enable = true;
  };
}
