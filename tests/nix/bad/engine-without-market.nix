{
  base = "full";
  message = "names no market: nothing is traded";
  change =
    { lib, ... }:
    {
      services.hlhft.settings.engine.coins = lib.mkForce [ ];
    };
}
