{
  base = "paper";
  message = "sops-nix is not imported";
  change = {
    services.hlhft.secrets.sopsFile = ./nothing.yaml;
  };
}
