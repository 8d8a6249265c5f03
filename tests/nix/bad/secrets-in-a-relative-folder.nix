{
  base = "full";
  message = "outside the store";
  change =
    { lib, ... }:
    {
      services.hlhft.secrets.folder = lib.mkForce "keys";
    };
}
