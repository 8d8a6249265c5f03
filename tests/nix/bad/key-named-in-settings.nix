{
  base = "full";
  message = "names the file of a key";
  change = {
    services.hlhft.settings.account.key_file = "/etc/key";
  };
}
