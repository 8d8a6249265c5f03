{
  base = "full";
  message = "come from nowhere";
  change =
    { lib, ... }:
    {
      services.hlhft.secrets.folder = lib.mkForce "/run/secrets";
    };
}
