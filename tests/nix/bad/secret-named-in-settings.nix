{
  base = "full";
  message = "names the file of a key";
  change = {
    services.hlhft.settings.watchdog.secret_file = "/etc/secret";
  };
}
