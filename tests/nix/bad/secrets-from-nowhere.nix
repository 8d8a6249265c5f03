{
  base = "full";
  message = "come from nowhere";
  change =
    { lib, ... }:
    {
      services.hlhft.secrets.sopsFile = lib.mkForce null;
    };
}
