{
  base = "full";
  message = "secrets.folder is /nix/store/keys";
  change =
    { lib, ... }:
    {
      services.hlhft.secrets.folder = lib.mkForce "/nix/store/keys";
    };
}
