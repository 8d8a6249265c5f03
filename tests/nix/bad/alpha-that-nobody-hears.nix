{
  base = "full";
  message = "the engine would not listen";
  change =
    { lib, ... }:
    {
      services.hlhft.settings.alpha.enabled = lib.mkForce false;
    };
}
