{
  base = "full";
  message = "sopsFile and folder are both set";
  change = {
    services.hlhft.secrets.sopsFile = ./nothing.yaml;
  };
}
