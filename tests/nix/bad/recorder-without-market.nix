{
  base = "full";
  message = "names no market to record";
  change =
    { lib, ... }:
    {
      services.hlhft.settings.recorder.coins = lib.mkForce [ ];
    };
}
