{
  base = "full";
  message = "sopsFile and folder are both set";
  change = {
    services.hlhft.secrets.folder = "/var/lib/hlhft-secrets";
  };
}
