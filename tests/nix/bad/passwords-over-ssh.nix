{
  base = "full";
  message = "keys only";
  change = {
    services.openssh.settings.PasswordAuthentication = true;
  };
}
